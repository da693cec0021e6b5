-- inline: deadline memory error; process: deadline memory error
return function(self)
  local a = (' '):rep(8000000) .. '1' local n = 0 while true do n = n + tonumber(a) end
end
