-- inline: deadline; process: deadline
return function(self)
  while true do print('x') end
end
