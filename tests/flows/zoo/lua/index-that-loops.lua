-- inline: deadline; process: deadline
return function(self)
  return setmetatable({}, {__index = function() while true do end end}).x
end
