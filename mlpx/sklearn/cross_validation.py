"""`cross_val_stack`."""
def cross_val_stack(): 
    """T."""
