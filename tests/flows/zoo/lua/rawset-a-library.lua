-- inline: error deadline; process: error
return function(self)
  rawset(string, 'format', nil)
end
