-- inline: deadline; process: deadline
return function(self)
  ::a:: do local x = 1 goto a end
end
