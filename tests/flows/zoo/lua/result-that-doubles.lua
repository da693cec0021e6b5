-- inline: error deadline memory; process: error deadline memory
return function(self)
  local t = {1} for i = 1, 60 do t = {t, t} end return t
end
