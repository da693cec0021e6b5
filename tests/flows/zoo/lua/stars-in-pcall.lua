-- inline: deadline; process: deadline
return function(self)
  while true do pcall(string.find, ('a'):rep(60000), ('a*'):rep(20) .. 'b') end
end
