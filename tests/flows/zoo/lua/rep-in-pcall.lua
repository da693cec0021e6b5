-- inline: memory deadline; process: memory deadline
return function(self)
  while true do pcall(string.rep, 'x', 1e9) end
end
