-- inline: deadline; process: deadline
return function(self)
  table.move({}, 1, 2 ^ 53, 2)
end
