-- inline: deadline; process: deadline
return function(self)
  for i = 1, math.huge do end
end
