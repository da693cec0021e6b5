-- inline: deadline error; process: deadline error
return function(self)
  local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) return t[1]
end
