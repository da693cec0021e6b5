-- inline: deadline error memory; process: deadline error memory
return function(self)
  local t t = setmetatable({}, {__tostring = function() return string.format('%s', t) end}) return string.format('%s', t)
end
