-- inline: memory deadline; process: memory deadline
return function(self)
  local s = '' while true do s = s .. 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' end
end
