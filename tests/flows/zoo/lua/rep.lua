-- inline: memory deadline; process: memory deadline
return function(self)
  return #('x'):rep(1e9)
end
