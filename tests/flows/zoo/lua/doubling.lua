-- inline: memory deadline; process: memory deadline
return function(self)
  local s = 'x' while true do s = s .. s end
end
