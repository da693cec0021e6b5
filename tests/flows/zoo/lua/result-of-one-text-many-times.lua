-- inline: error deadline memory; process: error deadline memory
return function(self)
  local s, t = ('x'):rep(4000000), {} for i = 1, 1000 do t[i] = s end return t
end
