"""Translation: the use cases around `translate`, engines that run models, training of translators."""
