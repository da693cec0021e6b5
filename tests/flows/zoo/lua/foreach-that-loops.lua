-- inline: deadline; process: deadline
return function(self)
  table.foreach({1}, function() while true do end end)
end
