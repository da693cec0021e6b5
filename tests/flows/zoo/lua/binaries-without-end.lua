-- inline: deadline memory; process: deadline memory
return function(self)
  local t = {} while true do t[#t + 1] = binary(('x'):rep(100000)) end
end
