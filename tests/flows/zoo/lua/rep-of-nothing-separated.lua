-- inline: memory deadline error; process: memory deadline error
return function(self)
  return #(''):rep(1e9, 'x')
end
