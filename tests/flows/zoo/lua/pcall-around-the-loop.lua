-- inline: deadline; process: deadline
return function(self)
  while true do pcall(function() while true do end end) end
end
