-- inline: deadline; process: deadline memory
return function(self)
  while true do local t = time.now() + duration(1) end
end
