"""One file per step of a rotation: mint, install, publish, retire, roll back."""
