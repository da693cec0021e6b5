-- inline: deadline error memory; process: deadline error memory
return function(self)
  local t t = setmetatable({}, {__call = function(...) return t(1, ...) end}) t()
end
