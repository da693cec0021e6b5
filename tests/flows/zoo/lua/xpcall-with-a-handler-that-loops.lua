-- inline: deadline; process: deadline
return function(self)
  while true do xpcall(function() while true do end end, function() while true do end end) end
end
