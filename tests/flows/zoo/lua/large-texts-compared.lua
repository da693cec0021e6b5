-- inline: deadline memory; process: deadline memory
return function(self)
  local a = ('x'):rep(8000000) local b = a .. 'y' local c = a .. 'z' local n = 0 while true do if b < c then n = n + 1 end end
end
