-- inline: deadline memory; process: deadline memory
return function(self)
  while true do local s = ('x'):rep(10000000) end
end
