// Dark or light, before anything is drawn. Without a choice the browser's own is taken.
(() => {
  try {
    const chosen = localStorage.getItem('tollgate-theme')
    if (chosen === 'dark' || chosen === 'light') document.documentElement.dataset.theme = chosen
  } catch {
    // A browser that keeps nothing has no choice to remember.
  }
})()
