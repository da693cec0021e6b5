-- inline: deadline; process: deadline memory
return function(self)
  while true do local t = {1, 2, 3, {}} end
end
