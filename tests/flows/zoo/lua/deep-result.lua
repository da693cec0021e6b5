-- inline: error deadline; process: error
return function(self)
  local t = {} for i = 1, 1e5 do t = {t} end return t
end
