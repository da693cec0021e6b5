-- inline: deadline; process: deadline
return function(self)
  return setmetatable({}, {__concat = function() while true do end end}) .. 'x'
end
