package downloadtoken

func (a *App) superseded() bool { return false }
