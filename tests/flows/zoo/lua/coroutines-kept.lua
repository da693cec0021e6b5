-- inline: memory deadline; process: memory deadline
return function(self)
  local t = {} while true do t[#t + 1] = coroutine.create(function() end) end
end
