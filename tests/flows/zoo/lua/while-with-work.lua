-- inline: deadline; process: deadline
return function(self)
  local x = 0 while true do x = (x * 31 + 7) % 65536 end
end
