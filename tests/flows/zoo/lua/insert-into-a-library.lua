-- inline: error deadline; process: error
return function(self)
  table.insert(table, 1)
end
