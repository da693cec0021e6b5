-- inline: memory deadline; process: memory deadline
return function(self)
  local t, i = {}, 0 while true do i = i + 1 t['k' .. i] = i end
end
