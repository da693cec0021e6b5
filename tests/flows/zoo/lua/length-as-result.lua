-- inline: error value deadline; process: error value
return function(self)
  return {[2 ^ 31] = 1}
end
