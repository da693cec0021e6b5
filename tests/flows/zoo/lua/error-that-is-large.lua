-- inline: error memory deadline; process: error memory deadline
return function(self)
  error(('x'):rep(10000000))
end
