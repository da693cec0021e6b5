-- inline: deadline memory; process: deadline memory
return function(self)
  local s = ('x'):rep(1000000) while true do s = ('%s%s'):format(s, s) end
end
