-- inline: deadline error memory; process: deadline error memory
return function(self)
  local t t = setmetatable({}, {__tostring = function() return tostring(t) end}) return tostring(t)
end
