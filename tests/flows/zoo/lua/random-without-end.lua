-- inline: deadline; process: deadline
return function(self)
  while true do math.random() end
end
