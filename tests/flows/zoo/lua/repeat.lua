-- inline: deadline; process: deadline
return function(self)
  repeat until false
end
