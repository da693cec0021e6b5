-- inline: error deadline; process: error
return function(self)
  local t = {} setmetatable(t, {__index = t}) return t.x
end
