-- inline: deadline; process: deadline
return function(self)
  while true do end
end
