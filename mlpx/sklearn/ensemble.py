"""E."""
class MLPEnsembleClassifier: 
    """T."""
class MLPEnsembleRegressor: 
    """T."""
