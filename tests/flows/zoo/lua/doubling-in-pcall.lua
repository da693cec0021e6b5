-- inline: memory deadline; process: memory deadline
return function(self)
  while true do pcall(function() local s = 'x' while true do s = s .. s end end) end
end
