-- inline: memory deadline; process: memory deadline
return function(self)
  local t = {} while true do local i = #t t[i + 1] = function() return i end end
end
