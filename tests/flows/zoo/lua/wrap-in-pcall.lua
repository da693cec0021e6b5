-- inline: deadline; process: deadline
return function(self)
  while true do pcall(coroutine.wrap(function() while true do end end)) end
end
