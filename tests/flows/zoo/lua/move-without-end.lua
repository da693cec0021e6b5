-- inline: deadline; process: deadline
return function(self)
  table.move({}, 1, 1e9, 2)
end
