-- inline: deadline; process: deadline
return function(self)
  table.sort({2, 1}, function() while true do end end)
end
