-- inline: error deadline; process: error
return function(self)
  string.format = nil
end
