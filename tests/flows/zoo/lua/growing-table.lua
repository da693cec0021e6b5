-- inline: memory deadline; process: memory deadline
return function(self)
  local t = {} while true do t[#t + 1] = {1, 2} end
end
