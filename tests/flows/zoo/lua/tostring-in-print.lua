-- inline: deadline; process: deadline
return function(self)
  print(setmetatable({}, {__tostring = function() while true do end end}))
end
